package setup

// For the tests, which are outside: they need the rig, which prepares.
var (
	Install     = install
	Subscribe   = subscribe
	Unsubscribe = unsubscribe
	DumpSchema  = dumpSchema
	Wanted      = wanted
)
