"""What the tests of the store need: a real S3 server on loopback."""
