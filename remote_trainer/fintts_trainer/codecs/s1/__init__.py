"""The codec of OpenAudio S1 and S1-mini."""
