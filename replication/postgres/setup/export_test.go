package setup

// For the tests, which are outside: they need the rig, which prepares.
var (
	Install          = install
	Subscribe        = subscribe
	DropSubscription = dropSubscription
	DumpSchema       = dumpSchema
	Fit              = fit
	Wanted           = wanted
	ErrCarrierLost   = errCarrierLost
	ErrNotCarried    = errNotCarried
)
