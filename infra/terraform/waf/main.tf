# AWS WAF and CloudFront in front of the API: the template that SAM's deployments use as well, as it stands. The provider has to be
# one of us-east-1.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
  }
}

variable "environment" {
  description = "Name of the deployment, as the module of the API has it"
  type        = string
}

variable "api_url" {
  description = "The output api_url of that module"
  type        = string
}

variable "domain_name" {
  description = "Host of its public_url"
  type        = string
}

variable "certificate_arn" {
  description = "Certificate of domain_name in ACM, in us-east-1"
  type        = string
}

variable "requests_per_address" {
  description = "Requests in five minutes from one address, then 429; many people may share one"
  type        = number
  default     = 2000
}

variable "sign_ins_per_address" {
  description = "Sign-ins, registrations and requests for links in five minutes from one address, then 429"
  type        = number
  default     = 200
}

variable "log_retention_days" {
  description = "Days that what was refused is kept"
  type        = number
  default     = 30
}

resource "aws_cloudformation_stack" "this" {
  #checkov:skip=CKV_AWS_124:The alarms of the deployment watch what comes through; a stack that changes when somebody applies needs no events.
  name          = "portcullis-${var.environment}-front"
  template_body = file("${path.module}/../../waf.yaml")
  parameters = {
    Environment        = var.environment
    ApiHost            = trimprefix(var.api_url, "https://")
    DomainName         = var.domain_name
    CertificateArn     = var.certificate_arn
    RequestsPerAddress = var.requests_per_address
    SignInsPerAddress  = var.sign_ins_per_address
    LogRetentionDays   = var.log_retention_days
  }
}

output "front_domain" {
  description = "What the DNS record of domain_name names"
  value       = lookup(aws_cloudformation_stack.this.outputs, "FrontDomain", null)
}
