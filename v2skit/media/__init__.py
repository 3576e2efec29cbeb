"""Reading and writing audio, video, mouth crops and the archives that hold them."""
