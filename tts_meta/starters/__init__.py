"""The two networks that a voice can be made on, behind one interface, with the weights they begin from."""
