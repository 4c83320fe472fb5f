"""What errors of object stores mean: whether to try again, and one line for users, without anything secret.

Their own messages may hold signed URLs, keys and pages of XML, so they are never shown.
"""

import asyncio
import errno
import ssl

from ..errors import MediaError

# HTTP states that may pass.
_BUSY = {408, 409, 425, 429, 500, 502, 503, 504}
_TRANSIENT_CODES = {"SlowDown", "InternalError", "RequestTimeout", "ServiceUnavailable", "Throttling", "500", "503"}
_TRANSIENT_CODES |= {"ConditionalRequestConflict", "OperationAborted", "RequestTimeTooSkewed"}
_TRANSIENT_ERRNOS = {errno.EBUSY, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ECONNRESET, errno.EPIPE, errno.ECONNREFUSED}
# By the names of their classes, as the libraries that define them may not be installed.
_TRANSIENT_NAMES = {"ClientPayloadError", "ServerDisconnectedError", "ClientOSError", "ServerTimeoutError"}
_TRANSIENT_NAMES |= {"ConnectTimeoutError", "ReadTimeoutError", "ResponseStreamingError", "IncompleteRead"}
_TRANSIENT_NAMES |= {"ConnectionClosedError", "HTTPClientError", "ProtocolError", "ConnectionTimeoutError"}
_TRANSIENT_NAMES |= {"SocketTimeoutError", "RemoteProtocolError", "ReadError", "ConnectError", "AioReadTimeoutError"}
_UNREACHABLE_NAMES = {"EndpointConnectionError", "ClientConnectorError", "ClientConnectorDNSError"}
_CREDENTIAL_NAMES = {"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "ProfileNotFound"}
_CREDENTIAL_NAMES |= {"NoAuthTokenError", "UnauthorizedSSOTokenError", "GoogleAuthError", "DefaultCredentialsError"}
_CREDENTIAL_CODES = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "401"}
_CREDENTIAL_CODES |= {"InvalidClientTokenId", "AuthFailure", "TokenRefreshRequired"}
_REFUSED_CODES = {"AccessDenied", "403", "AllAccessDisabled", "AccountProblem"}

CHECK_CREDENTIALS = "the credentials are missing or wrong; set them in the environment, as for the store's own tools"


class StoreError(MediaError):
    """An object that cannot be read or written.

    Attributes:
        concerns_all: whether other objects of that store cannot be used either.
    """

    def __init__(self, url: str, reason: str, concerns_all: bool = False):
        self.concerns_all = concerns_all
        super().__init__(url, reason)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    causes = _causes_of(error)
    names = {type(cause).__name__ for cause in causes}
    if names & _CREDENTIAL_NAMES or isinstance(error, (FileNotFoundError, PermissionError, FileExistsError)):
        return False
    if any(_code_of(cause) in _TRANSIENT_CODES or _status_of(cause) in _BUSY for cause in causes):
        return True
    if names & (_TRANSIENT_NAMES | _UNREACHABLE_NAMES):
        return True
    if isinstance(error, (TimeoutError, asyncio.TimeoutError, ConnectionError)):
        return True
    return getattr(error, "errno", None) in _TRANSIENT_ERRNOS


def cause_of_missing(error: FileNotFoundError) -> Exception | None:
    """What is behind a missing file: for the web, fsspec calls everything so. None if it is just not there."""
    cause = error.__cause__
    if not isinstance(cause, Exception) or isinstance(cause, FileNotFoundError) or _status_of(cause) in (404, 410):
        return None
    code = _code_of(cause)
    return None if code and code != "NoSuchBucket" else cause


def concerns_store(error: BaseException) -> bool:
    """Whether other objects of the store would meet the same error."""
    return reason_of(error) == CHECK_CREDENTIALS or is_transient(error)


def already_exists(error: BaseException) -> bool:
    """Whether an object was not created because there is one."""
    codes = {_code_of(cause) for cause in _causes_of(error)}
    return isinstance(error, FileExistsError) or bool(codes & {"PreconditionFailed", "412"})


def reason_of(error: BaseException) -> str:
    """In one line: why an object cannot be read or written, and what to do."""
    causes = _causes_of(error)
    names, codes = {type(cause).__name__ for cause in causes}, {_code_of(cause) for cause in causes}
    statuses = {_status_of(cause) for cause in causes}
    # (whether it applies, what it means), the first one counts
    meanings = (
        ("PrivateAddressError" in names, "leads to a private address, which inputs from the web must not"),
        (bool(names & {"InvalidURL", "InvalidUrlClientError"}), "is not a valid URL; check its host"),
        ("NoSuchBucket" in codes, "its bucket does not exist; check the name, and the region or endpoint"),
        (bool(names & _CREDENTIAL_NAMES or codes & _CREDENTIAL_CODES or 401 in statuses), CHECK_CREDENTIALS),
        (isinstance(error, FileNotFoundError) or 404 in statuses, "does not exist; check the URL"),
        (
            isinstance(error, PermissionError) or bool(codes & _REFUSED_CODES) or 403 in statuses,
            "access is refused; check the credentials in the environment, and their rights",
        ),
        (any(isinstance(cause, ssl.SSLError) for cause in causes), "its server has no valid certificate"),
        (bool(names & _UNREACHABLE_NAMES), "its server cannot be reached; check the name, the network or endpoint"),
        (is_transient(error), "its server failed or cut the connection again and again; try later"),
    )
    kind = next((type(cause).__name__ for cause in reversed(causes)), type(error).__name__)
    return next((meaning for applies, meaning in meanings if applies), f"the store refused the request ({kind})")


def _causes_of(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in causes:
        causes.append(one)
        one = one.__cause__ or one.__context__
    return causes


def _code_of(error: BaseException) -> str:
    """The error code of an answer of S3, as botocore keeps it."""
    response = getattr(error, "response", None)
    found = response.get("Error", {}) if isinstance(response, dict) else {}
    return str(found.get("Code", "")) if isinstance(found, dict) else ""


def _status_of(error: BaseException) -> int | None:
    """The state of an answer of HTTP, where the error has one."""
    response = getattr(error, "response", None)
    status = getattr(error, "status", None) or getattr(response, "status_code", None) or getattr(error, "code", None)
    return status if isinstance(status, int) else None
