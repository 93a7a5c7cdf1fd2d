// Package aws starts the lab's AWS: moto with an extension in Python (labaws/) where its data model
// stops short, and versitygw for S3. It is not a place for an account's contents: who starts it
// fills it through the AWS API.
package aws
