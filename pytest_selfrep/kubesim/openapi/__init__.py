"""The API described in OpenAPI's words: types, paths, and the documents that clients read."""
