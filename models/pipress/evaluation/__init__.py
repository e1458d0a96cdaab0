"""How good, how big and how fast a GGUF is, by llama.cpp's own programs."""
