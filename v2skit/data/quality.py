def measure_sound(sound, sample_rate): return {"seconds": len(sound)/sample_rate}
def rejects(filters, measures): return None
