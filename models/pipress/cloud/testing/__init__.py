"""What tests of an instance put in the place of AWS; the store is a real S3 server."""
