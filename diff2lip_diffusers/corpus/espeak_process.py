"""One utterance by espeak-ng, spoken in a process of its own: JSON in by stdin, JSON and sound out by stdout.

Run as a file with Python's `-I`, so it imports the standard library only. The library allows one instance a process,
cannot be started anew, and lets what it spoke before color what it speaks next; a fresh process always speaks alike.
"""

import ctypes
import ctypes.util
import json
import sys
from pathlib import Path

SONAMES = ("libespeak-ng.so.1", "libespeak-ng.so", "libespeak-ng.1.dylib", "libespeak-ng.dll")
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


def load_library() -> ctypes.CDLL | None:
    """The shared library, None where there is none."""
    for name in SONAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    found = ctypes.util.find_library("espeak-ng")  # searches with a compiler's help: slow, so last
    return ctypes.CDLL(found) if found else None


def has_variant(library: ctypes.CDLL, name: str) -> bool:
    """Whether there is such a variant; the library takes the plain voice for one that it does not know."""
    library.espeak_Info.restype = ctypes.c_char_p
    data_folder = ctypes.c_char_p()
    library.espeak_Info(ctypes.byref(data_folder))
    return (Path(data_folder.value.decode()) / "voices" / "!v" / name).is_file()


def main() -> int:
    """Speaks the request on stdin; returns the exit code.

    Stdout: a line of JSON `{"sampling_rate", "phonemes": [[first sample, IPA symbol], ...]}`, then int16 samples.
    """
    request = json.load(sys.stdin)
    library = load_library()
    if library is None:
        return NO_LIBRARY
    options = INITIALIZE_PHONEME_EVENTS | INITIALIZE_PHONEME_IPA | INITIALIZE_DONT_EXIT
    sampling_rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, None, options)
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

    callback = _Callback(receive)  # kept in a variable: the library calls it until the speech has ended
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
