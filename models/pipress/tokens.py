"""What text costs in tokens."""

# More bytes (or characters) than any tokenizer takes for a token of running text: cutting a text there spares
# tokenizing what is not used.
BYTES_PER_TOKEN = 12
