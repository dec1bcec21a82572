# What operators need for manage-users --table: its variables, and a policy to give to their role.
resource "aws_secretsmanager_secret" "operators" {
  #checkov:skip=CKV2_AWS_57:It holds no secret, and there is nothing to rotate.
  name        = "portcullis/${var.environment}/operators"
  description = local.resources.OperatorsVariables.Properties.Description
  kms_key_id  = local.key_arn
}

resource "aws_secretsmanager_secret_version" "operators" {
  secret_id     = aws_secretsmanager_secret.operators.id
  secret_string = join("", [for name, value in local.variables : "${name}=${value}\n"])
}

resource "aws_iam_policy" "operators" {
  name        = "${local.roles}-operators"
  description = local.resources.Operators.Properties.Description
  policy      = local.policies.Operators
}
