# One deployment. Build the artifact first, from the root of the repository: infra/build
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80"
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
