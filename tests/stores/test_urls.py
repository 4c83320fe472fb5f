from pathlib import Path

import pytest

from diff2lip_diffusers.stores.urls import Url, is_url, located


@pytest.mark.parametrize(
    ("text", "name", "parent"),
    [
        ("s3://bucket/a/b c.mp4", "b c.mp4", "s3://bucket/a"),
        ("S3://bucket/a.mp4", "a.mp4", "S3://bucket"),
        ("gs://bucket/a/", "a", "gs://bucket"),
        ("hf://datasets/you/set/a.mp4", "a.mp4", "hf://datasets/you/set"),
        ("abfs://box@account.dfs.core.windows.net/a.mp4", "a.mp4", "abfs://box@account.dfs.core.windows.net"),
        ("https://example.org/a/b%20c.mp4?X-Amz-Signature=secret#t", "b c.mp4", "https://example.org/a"),
        ("s3://bucket/what?.mp4", "what?.mp4", "s3://bucket"),
    ],
)
def test_parts_of_urls(text, name, parent):
    url = located(text)
    assert isinstance(url, Url)
    assert (url.name, str(url.parent), url.full) == (name, parent, text)


def test_what_may_be_secret_is_not_shown():
    url = Url("https://example.org/a.mp4?X-Amz-Signature=secret")
    assert str(url) == f"{url}" == "https://example.org/a.mp4"
    assert url.full.endswith("secret")
    assert url / "b.mp4" == Url("https://example.org/a.mp4/b.mp4")


@pytest.mark.parametrize(
    "value", ["a.mp4", "C:\\a.mp4", "C:/a.mp4", "file:a.mp4", "s3:/a.mp4", "//a/b", Path("s3://a")]
)
def test_paths_stay_paths(value):
    assert not is_url(value)
    assert located(value) == Path(value)


def test_file_urls_are_paths():
    assert located("file:///data/a%20b.mp4") == Path("/data/a b.mp4")
    with pytest.raises(ValueError, match="names another host"):
        located("file://server/data/a.mp4")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("simplecache::s3://bucket/a.mp4", "chains protocols"),
        ("zip://a.mp4::https://example.org/a.zip", "chains protocols"),
        ("ftp://example.org/a.mp4", "has an unknown protocol; known are file, s3"),
        ("concat://a|b", "has an unknown protocol"),
        ("https://user:secret@example.org/a.mp4", r"^https://…@example.org/a.mp4 holds a user or password"),
        ("s3://KEY:secret@bucket/a.mp4", "holds a user or password"),
        ("s3:///a.mp4", "names no bucket"),
        ("https:///a.mp4", "names no host"),
        ("s3://bucket/../other/a.mp4", "has a part `..`"),
    ],
)
def test_urls_that_are_refused(text, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        located(text)
    assert "secret" not in str(caught.value)
