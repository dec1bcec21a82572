# One function each, with the rights the template gives it and no others.
locals {
  # Of every function, and of the operators' manage-users.
  variables = {
    TABLE_NAME              = aws_dynamodb_table.this.name
    AWS_SECRET_NAME         = aws_secretsmanager_secret.this.name
    KMS_KEY_ID              = aws_kms_key.this.arn
    BROKER_KMS_KEY_ID       = aws_kms_key.broker.arn
    PUBLIC_URL              = var.public_url
    ALLOWED_ORIGINS         = join(",", var.allowed_origins)
    REQUIRE_EDGE            = tostring(var.require_edge)
    TRUSTED_PROXIES         = join(",", var.trusted_proxies)
    MAIL_FROM               = var.mail_from
    EMAIL_VERIFICATION      = var.email_verification
    PROOF_OF_WORK           = var.proof_of_work
    PASSWORD_ROTATION_DAYS  = tostring(var.password_rotation_days)
    AUDIT_RETENTION_DAYS    = tostring(var.audit_retention_days)
    AUDIT_SHARDS            = tostring(var.audit_shards)
    TOKEN_SIGNING_ALGORITHM = var.token_signing_algorithm
    ENVIRONMENT             = var.environment
    FRONTEND_URL            = var.frontend_url
    TOKEN_ISSUER            = var.token_issuer
    TOKEN_AUDIENCE          = var.token_audience
    ACCESS_TOKEN_TTL        = var.access_token_ttl
    REFRESH_TOKEN_TTL       = var.refresh_token_ttl
    REFRESH_REUSE_GRACE     = var.refresh_reuse_grace
    SESSION_TIMEOUT         = var.session_timeout
    SESSION_MAX_AGE         = var.session_max_age
    PASSWORD_MIN_SCORE      = var.password_min_score
    ARGON2_MEMORY_KIB       = var.argon2_memory_kib
    ARGON2_ITERATIONS       = var.argon2_iterations
    ARGON2_PARALLELISM      = var.argon2_parallelism
    ARGON2_BACKEND          = var.argon2_backend
    TOTP_ISSUER             = var.totp_issuer
    BRAND_NAME              = var.brand_name
    BRAND_LOGO              = var.brand_logo
    BRAND_ACCENT            = var.brand_accent
    ROLE_DEFINITIONS        = var.role_definitions
    SERVICES                = var.services
    RATE_LIMIT              = var.rate_limit
    PROVIDERS               = join(",", var.providers_to_watch)
    CREDENTIAL_MAX_AGE      = var.credential_max_age
    REQUEST_TIMEOUT         = var.request_timeout
    CALL_TIMEOUT_MS         = var.call_timeout_ms
    ROTATION_MIN_INTERVAL   = var.rotation_min_interval
    RUST_LOG                = var.rust_log
  }
  # The few intrinsic functions the template's policies use, and what they mean here. Both sides are JSON.
  meanings = merge(local.meanings_of_parts, {
    (jsonencode({ "Fn::GetAtt" = ["Table", "Arn"] })) = jsonencode(aws_dynamodb_table.this.arn)
    (jsonencode({ "Fn::Sub" = "$${Table.Arn}/index/listing" })) = jsonencode("${aws_dynamodb_table.this.arn}/index/listing")
    (jsonencode({ "Fn::GetAtt" = ["Key", "Arn"] })) = jsonencode(aws_kms_key.this.arn)
    (jsonencode({ "Fn::GetAtt" = ["BrokerKey", "Arn"] })) = jsonencode(aws_kms_key.broker.arn)
    (jsonencode({ "Ref" = "MailFrom" })) = jsonencode(var.mail_from)
    (jsonencode({ "Fn::Sub" = "arn:$${AWS::Partition}:ses:$${AWS::Region}:$${AWS::AccountId}:identity/*" })) = jsonencode("arn:${data.aws_partition.current.partition}:ses:${local.region}:${local.account}:identity/*")
    (jsonencode({ "Ref" = "Secrets" })) = jsonencode(aws_secretsmanager_secret.this.arn)
    (jsonencode({ "Ref" = "OperatorsVariables" })) = jsonencode(aws_secretsmanager_secret.operators.arn)
    (jsonencode({ "Fn::Sub" = "dynamodb.$${AWS::Region}.amazonaws.com" })) = jsonencode("dynamodb.${local.region}.amazonaws.com")
    (jsonencode({ "Fn::Sub" = "secretsmanager.$${AWS::Region}.amazonaws.com" })) = jsonencode("secretsmanager.${local.region}.amazonaws.com")
  })
  meanings_of_parts = {
    for part, secret in aws_secretsmanager_secret.part : jsonencode({ "Ref" = "${part}Secret" }) => jsonencode(secret.arn)
  }
  shared_statements = local.resources.ReadSecrets.Properties.PolicyDocument.Statement
  # A function of pages reads nothing, and has no policy beside that of logs and traces.
  functions_with_policies = { for name, function in local.functions : name => function if can(function.Properties.Policies) }
  raw_policies = merge(
    {
      for name, function in local.functions_with_policies : name => jsonencode({
        Version = "2012-10-17"
        Statement = concat(
          [for statement in local.shared_statements : statement],
          flatten([for policy in function.Properties.Policies : try(policy.Statement, [])]),
        )
      })
    },
    { Operators = jsonencode(local.resources.Operators.Properties.PolicyDocument) },
  )
  # One replacement after the other; Terraform has no fold.
  policy_terms = keys(local.meanings)
  policies = {
    for name, policy in local.raw_policies : name =>
    replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(policy,
      local.policy_terms[0], local.meanings[local.policy_terms[0]]),
      local.policy_terms[1], local.meanings[local.policy_terms[1]]),
      local.policy_terms[2], local.meanings[local.policy_terms[2]]),
      local.policy_terms[3], local.meanings[local.policy_terms[3]]),
      local.policy_terms[4], local.meanings[local.policy_terms[4]]),
      local.policy_terms[5], local.meanings[local.policy_terms[5]]),
      local.policy_terms[6], local.meanings[local.policy_terms[6]]),
      local.policy_terms[7], local.meanings[local.policy_terms[7]]),
      local.policy_terms[8], local.meanings[local.policy_terms[8]]),
      local.policy_terms[9], local.meanings[local.policy_terms[9]]),
      local.policy_terms[10], local.meanings[local.policy_terms[10]]),
      local.policy_terms[11], local.meanings[local.policy_terms[11]]),
      local.policy_terms[12], local.meanings[local.policy_terms[12]]),
    local.policy_terms[13], local.meanings[local.policy_terms[13]])
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions
  name     = "${local.name}-${each.value.Properties.Handler}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions_with_policies
  name     = "portcullis"
  role     = aws_iam_role.function[each.key].id
  policy   = local.policies[each.key]
  lifecycle {
    precondition {
      condition     = !strcontains(local.policies[each.key], "Fn::") && !strcontains(local.policies[each.key], "\"Ref\"")
      error_message = "The template uses an intrinsic function in a policy that functions.tf does not know."
    }
  }
}

resource "aws_iam_role_policy" "logs_and_traces" {
  for_each = local.functions
  name     = "logs-and-traces"
  role     = aws_iam_role.function[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.functions.arn}:*"
      },
      {
        # X-Ray has no resources to name.
        Effect   = "Allow"
        Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        Resource = "*"
      },
    ]
  })
}

resource "aws_lambda_function" "this" {
  for_each         = local.functions
  function_name    = "${local.name}-${each.value.Properties.Handler}"
  description      = each.value.Properties.Description
  role             = aws_iam_role.function[each.key].arn
  runtime          = "provided.al2023"
  handler          = each.value.Properties.Handler
  architectures    = [var.architecture]
  filename         = var.artifact
  source_code_hash = filebase64sha256(var.artifact)
  memory_size      = each.value.Properties.MemorySize
  timeout          = try(each.value.Properties.Timeout, local.template.Globals.Function.Timeout)

  environment {
    variables = local.variables
  }
  tracing_config {
    mode = "Active"
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.functions.name
  }
}

resource "aws_lambda_permission" "rotation" {
  statement_id   = "rotation"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.this["KeyRotationFunction"].function_name
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.account
}
