"""Where artifacts live, by key: in a folder (`file:///…`) or in a bucket (`s3://…`)."""
