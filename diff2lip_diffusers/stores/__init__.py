"""Files in object stores and on the web: their URLs, reading and writing them, and a bounded local cache."""
