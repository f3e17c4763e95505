"""What clients send, read by the types of the API: JSON, YAML or protobuf in, checked objects out."""
