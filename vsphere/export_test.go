package vsphere

// PageBy makes the inventory's pages small.
func (s *Session) PageBy(n int32) { s.page = n }
