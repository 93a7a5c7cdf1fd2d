package disks

// Segmented is a copier whose checkpoints have segments of so many blocks.
func (c *Copier) Segmented(blocks int) *Copier {
	c.segment = blocks
	return c
}
