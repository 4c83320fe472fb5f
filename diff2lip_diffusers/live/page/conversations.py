"""All people at the page: opened up to the number that the machine carries, found by their keys, ended when idle."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from ...errors import Diff2LipError
from ..engine import LiveLipSync
from ..refusals import SessionRefusedError
from .conversation import Conversation
from .settings import PageSettings

LOOK_S = 0.5
# Of sessions that have ended, so that their pages can say why.
KEPT_REASONS = 200
ENDED, UNKNOWN = "The session has ended.", "There is no such session."


class UnknownSessionError(Diff2LipError):
    """No session has this key, or it has ended.

    Attributes:
        has_ended: whether there was one.
    """

    def __init__(self, reason: str | None):
        self.has_ended = reason is not None
        super().__init__(reason or UNKNOWN)


class NoPlaceError(Diff2LipError):
    """All places are taken."""

    def __init__(self, places: int):
        people = "one person" if places == 1 else f"{places} people"
        super().__init__(f"All places are taken: this machine carries {people} at a time. Try again in a minute.")


class Conversations:
    """Opens and ends what people do at the page. Used in one event loop.

    Args:
        engine: that was started, with an idle clip.
        settings: of the page.
        addresses: of this machine that browsers may use; None for all.
    """

    def __init__(self, engine: LiveLipSync, settings: PageSettings, addresses: Sequence[str] | None):
        self.engine, self.settings = engine, settings
        self._addresses = addresses
        self._open: dict[str, Conversation] = {}
        self._reasons: OrderedDict[str, str] = OrderedDict()

    async def open(self, offer: str) -> tuple[Conversation, str]:
        """A new conversation, and the answer to the browser's offer.

        Raises:
            NoPlaceError: if the machine carries no more.
            Diff2LipError: if the offer cannot be used.
        """
        try:
            session = await asyncio.get_running_loop().run_in_executor(None, self.engine.open_session)
        except SessionRefusedError as error:
            raise NoPlaceError(error.capacity) from error
        conversation = Conversation(session, self.settings, self._addresses)
        self._open[conversation.key] = conversation
        try:
            return conversation, await conversation.connect(offer)
        except BaseException:
            await self._end(conversation, ENDED)
            raise

    def find(self, key: str) -> Conversation:
        """The conversation with a key.

        Raises:
            UnknownSessionError: if there is none.
        """
        conversation = self._open.get(key)
        if conversation is None:
            raise UnknownSessionError(self._reasons.get(key))
        return conversation

    async def end(self, key: str, reason: str = ENDED) -> None:
        """Ends a conversation.

        Raises:
            UnknownSessionError: if there is none.
        """
        await self._end(self.find(key), reason)

    async def watch(self) -> None:
        """Ends those that are idle or lost, until it is canceled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for conversation in list(self._open.values()):
                reason = conversation.overdue if conversation.is_open else ENDED
                if reason is not None:
                    await self._end(conversation, reason)

    async def close(self) -> None:
        """Ends all."""
        for conversation in list(self._open.values()):
            await self._end(conversation, "The server has stopped.")

    async def _end(self, conversation: Conversation, reason: str) -> None:
        if self._open.pop(conversation.key, None) is None:
            return
        self._reasons[conversation.key] = reason
        while len(self._reasons) > KEPT_REASONS:
            self._reasons.popitem(last=False)
        await conversation.close()
