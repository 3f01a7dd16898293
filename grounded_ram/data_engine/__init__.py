"""RAM's data engine: tags mined from captions, missing ones added, wrong ones removed."""
