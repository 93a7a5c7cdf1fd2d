// Package verify holds both sides to the ledger: of every write that was acknowledged it asks
// whether it is there once, whole, and where it belongs. It imports nothing of the product and asks
// it nothing but, by SQL, what any application may ask: drover.is_home.
package verify
