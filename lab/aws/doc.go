// Package aws starts the lab's AWS: moto, extended by the Python package labaws beside this file, and versitygw for S3.
package aws
