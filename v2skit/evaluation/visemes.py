"""Sounds that look alike on the lips: viseme classes of the phonemes of CMU's dictionary (Arpabet, without stress)."""

from __future__ import annotations

VISEMES = {
    "bilabial": ("P", "B", "M"),
    "labio-dental": ("F", "V"),
    "dental": ("TH", "DH"),
    "alveolar stop": ("T", "D", "N"),
    "alveolar fricative": ("S", "Z"),
    "palato-alveolar": ("SH", "ZH", "CH", "JH"),
    "alveolar semivowel": ("L", "R", "Y"),
    "velar": ("K", "G", "NG", "W"),
    "open vowel": ("AO", "AH", "AA", "ER", "OY", "AW", "HH"),
    "rounded vowel": ("UW", "UH", "OW"),
    "mid front vowel": ("AE", "EH", "EY", "AY"),
    "close front vowel": ("IH", "IY"),
}
"""The classes of Neti et al. 2000 (Audio-visual speech recognition, final report of the Johns Hopkins workshop), which
count W among the velars and HH among the open vowels; the names are ours."""

VISEME_OF = {phone: name for name, phones in VISEMES.items() for phone in phones}
"""Phoneme -> the name of its class."""

VOWELS = {phone for name, phones in VISEMES.items() if name.endswith(" vowel") for phone in phones} - {"HH"}
