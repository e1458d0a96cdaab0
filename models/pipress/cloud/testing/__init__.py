"""What tests of a box put in the place of AWS; the store is a real S3 server."""
