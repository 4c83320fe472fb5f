"""One utterance by espeak-ng in a process of its own: a JSON request on stdin, JSON and samples on stdout.

Runs as a file with Python's `-I -S`, so it can import the standard library only. The parent process tells where the
library and its data are. The library allows one instance per process, cannot be restarted, and earlier speech changes
later speech; a fresh process always gives the same samples.
"""

import ctypes
import ctypes.util
import json
import os
import sys
from pathlib import Path

SYSTEM_LIBRARIES = ("libespeak-ng.so.1", "libespeak-ng.so", "libespeak-ng.1.dylib", "libespeak-ng.dll")
NO_LIBRARY, NO_DATA, NO_VOICE, NO_VARIANT, NO_SPEECH = range(10, 15)  # exit codes

# Constants of espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_PHONEME_EVENTS, INITIALIZE_PHONEME_IPA, INITIALIZE_DONT_EXIT = 0x0001, 0x0002, 0x8000
EVENT_END_OF_LIST, EVENT_PHONEME = 0, 7
PARAMETER_RATE, PARAMETER_PITCH = 1, 3
POSITION_CHARACTER, CHARS_UTF8 = 1, 1


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def load_library(path: str | None = None) -> ctypes.CDLL | None:
    """The shared library at `path`, or the system's by default; None if there is none."""
    for name in [path] if path else SYSTEM_LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    found = None if path else ctypes.util.find_library("espeak-ng")  # may run a compiler: slow, so last
    return ctypes.CDLL(found) if found else None


def start(library: ctypes.CDLL, data: str | None) -> int:
    """Starts the library with the voices in the folder `data`, or its own; returns Hz, 0 or less if there are none."""
    options = INITIALIZE_PHONEME_EVENTS | INITIALIZE_PHONEME_IPA | INITIALIZE_DONT_EXIT
    if data is not None:
        os.chdir(data)  # the library cuts paths of more than 160 bytes
    sampling_rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, None if data is None else b".", options)
    if hasattr(library, "espeak_ng_SetRandSeed"):  # versions that have it would seed the noise of breath by the clock
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    return sampling_rate


def has_variant(library: ctypes.CDLL, name: str) -> bool:
    """Whether the variant exists; the library silently uses the plain voice if it does not."""
    library.espeak_Info.restype = ctypes.c_char_p
    data_folder = ctypes.c_char_p()
    library.espeak_Info(ctypes.byref(data_folder))
    return (Path((data_folder.value or b".").decode()) / "voices" / "!v" / name).is_file()


def main() -> int:
    """Speaks the request on stdin; returns the exit code.

    Stdin: JSON `{"library", "data", "text", "voice", "variant", "rate_wpm", "pitch"}`; without the paths `library` and
    `data` (null), or if that library cannot be loaded, the system's is used.
    Stdout: a line of JSON `{"sampling_rate", "phonemes": [[first sample, IPA symbol], ...]}`, then int16 samples.
    """
    request = json.load(sys.stdin)
    packaged = load_library(request["library"]) if request["library"] else None
    library = packaged or load_library()
    if library is None:
        return NO_LIBRARY
    sampling_rate = start(library, request["data"] if packaged else None)
    if sampling_rate <= 0:
        return NO_DATA
    samples, phonemes = bytearray(), []

    def receive(wave, count, events):
        if count > 0:
            samples.extend(ctypes.string_at(wave, 2 * count))
        index = 0
        while events[index].type != EVENT_END_OF_LIST:
            event = events[index]
            if event.type == EVENT_PHONEME:
                raw = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0]
                phonemes.append((event.sample, raw.decode("utf8", errors="ignore")))
            index += 1
        return 0

    callback = _Callback(receive)  # keep a reference: the library calls it until the speech ends
    library.espeak_SetSynthCallback(callback)
    voice, variant = request["voice"], request["variant"]
    if variant and not has_variant(library, variant):
        return NO_VARIANT
    if library.espeak_SetVoiceByName((f"{voice}+{variant}" if variant else voice).encode()):
        return NO_VOICE
    library.espeak_SetParameter(PARAMETER_RATE, request["rate_wpm"], 0)
    library.espeak_SetParameter(PARAMETER_PITCH, request["pitch"], 0)
    text = request["text"].encode() + b"\0"
    if library.espeak_Synth(text, len(text), 0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None):
        return NO_SPEECH
    library.espeak_Synchronize()

    header = {"sampling_rate": sampling_rate, "phonemes": phonemes}
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + bytes(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
