"""The generated corpus of neural voices: sentences synthesised by Kokoro-82M."""
