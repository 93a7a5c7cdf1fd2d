package ebs

// State is pending, completed or error; "" for a snapshot that does not exist.
func (s *Server) State(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sn := s.snapshots[id]; sn != nil {
		return sn.State
	}
	return ""
}

// Snapshots is how many there are.
func (s *Server) Snapshots() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.snapshots)
}

// Failed is how many were given up because nobody wrote to them.
func (s *Server) Failed() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sn := range s.snapshots {
		if sn.State == stateError {
			n++
		}
	}
	return n
}
