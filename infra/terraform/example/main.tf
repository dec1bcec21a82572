# One deployment. Build the artifact first, from the root of the repository: infra/build
#
# The provider is of the version the module is tested with. Keep `.terraform.lock.hcl` under version control, and the state where it
# is locked, encrypted and versioned: no secret is in it, but who may do what is.
#
#   terraform {
#     backend "s3" {
#       bucket       = "example-terraform-state"
#       key          = "portcullis/dev.tfstate"
#       region       = "ap-south-1"
#       encrypt      = true
#       use_lockfile = true
#     }
#   }
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.25.0"
    }
  }
}

provider "aws" {
  region = "ap-south-1"
}

module "portcullis" {
  source          = "../"
  environment     = "dev"
  public_url      = "https://auth.example.com"
  mail_from       = "auth@example.com"
  allowed_origins = ["https://app.example.com"]
  artifact        = "${path.root}/../../../target/lambda/bootstrap/bootstrap.zip"
}

output "api_url" {
  value = module.portcullis.api_url
}
