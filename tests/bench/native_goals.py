"""What `bench native` reports: goals for instructions per operation, and which of Linux's ringtest programs does the same."""

RINGS = ("split", "packed")
SHAPES = ("one", "slot", "inorder", "block", "three", "indirect")
BATCHES = (1, 16, 32)

# (shape, batch): instructions for add, take, and their share of publish, fence, need_event and poll. The same for both rings.
GOALS = {
    ("one", 32): 54, ("slot", 32): 46, ("inorder", 32): 40, ("block", 32): 64, ("three", 32): 100,
    ("one", 1): 98, ("slot", 1): 87,
}
TWO_CORE_GOAL = 1.0

# Its programs know one descriptor per request, and neither checks nor completion functions.
PEERS = {
    ("split", "one"): "virtio_ring_0_9", ("split", "slot"): "virtio_ring_0_9", ("split", "inorder"): "virtio_ring_inorder",
    ("packed", "one"): "ring", ("packed", "slot"): "ring", ("packed", "inorder"): "ring",
}
TWO_CORE_PEERS = {"split": "virtio_ring_0_9", "packed": "ring"}
