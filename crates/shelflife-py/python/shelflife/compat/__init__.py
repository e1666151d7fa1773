"""The shapes of other caches, on this one: to move over by changing an import. docs/moving-over.md says what differs."""
