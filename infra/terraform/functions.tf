# One function each, with the rights the template gives it and no others.
locals {
  # Of every function, and of the operators' manage-users.
  variables = {
    TABLE_NAME              = local.table_name
    AWS_SECRET_NAME         = local.secret_name
    KMS_KEY_ID              = local.key_arn
    BROKER_KMS_KEY_ID       = local.broker_key_arn
    PUBLIC_URL              = var.public_url
    ALLOWED_ORIGINS         = join(",", var.allowed_origins)
    REQUIRE_EDGE            = tostring(var.require_edge)
    TRUSTED_PROXIES         = join(",", var.trusted_proxies)
    MAIL_FROM               = var.mail_from
    EMAIL_VERIFICATION      = var.email_verification
    PROOF_OF_WORK           = var.proof_of_work
    PASSWORD_ROTATION_DAYS  = tostring(var.password_rotation_days)
    PASSKEY_RP_ID           = var.passkey_rp_id
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
    STEP_UP_MAX_AGE         = var.step_up_max_age
    API_KEY_MAX_AGE         = var.api_key_max_age
    MFA_REMEMBER_DAYS       = var.mfa_remember_days
    PROVIDERS               = join(",", var.providers_to_watch)
    CREDENTIAL_MAX_AGE      = var.credential_max_age
    CREDENTIAL_LEASE_TTL    = var.credential_lease_ttl
    FREEZE_CANCEL_GRACE     = var.freeze_cancel_grace
    REQUEST_TIMEOUT         = var.request_timeout
    CALL_TIMEOUT_MS         = var.call_timeout_ms
    ROTATION_MIN_INTERVAL   = var.rotation_min_interval
    RUST_LOG                = var.rust_log
  }
  # The few intrinsic functions the template's policies use, and what they mean here. Both sides are JSON.
  meanings = merge(
    { for name, arn in local.secret_arns : jsonencode({ "Ref" = name }) => jsonencode(arn) },
    {
      (jsonencode({ "Fn::GetAtt" = ["Key", "Arn"] })) = jsonencode(local.key_arn)
      (jsonencode({ "Fn::GetAtt" = ["BrokerKey", "Arn"] })) = jsonencode(local.broker_key_arn)
      (jsonencode({ "Ref" = "MailFrom" })) = jsonencode(var.mail_from)
      (jsonencode({ "Ref" = "OperatorsVariables" })) = jsonencode(aws_secretsmanager_secret.operators.arn)
    },
  )
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
  # Texts with names and places in them: once those are put in, a text stands for itself.
  policies_with_names = {
    for name, policy in local.raw_policies : name =>
    replace(replace(replace(replace(replace(replace(policy,
      "/\\{\"Fn::Sub\":(\"[^\"]*\")\\}/", "$1"),
      "$${AWS::Partition}", data.aws_partition.current.partition),
      "$${AWS::Region}", local.region),
      "$${AWS::AccountId}", local.account),
      "$${Environment}", var.environment),
    "$${TableSuffix}", var.table_suffix)
  }
  # One replacement after the other; Terraform has no fold.
  policy_terms = keys(local.meanings)
  policies = {
    for name, policy in local.policies_with_names : name =>
    replace(replace(replace(replace(replace(replace(replace(replace(replace(policy,
      local.policy_terms[0], local.meanings[local.policy_terms[0]]),
      local.policy_terms[1], local.meanings[local.policy_terms[1]]),
      local.policy_terms[2], local.meanings[local.policy_terms[2]]),
      local.policy_terms[3], local.meanings[local.policy_terms[3]]),
      local.policy_terms[4], local.meanings[local.policy_terms[4]]),
      local.policy_terms[5], local.meanings[local.policy_terms[5]]),
      local.policy_terms[6], local.meanings[local.policy_terms[6]]),
      local.policy_terms[7], local.meanings[local.policy_terms[7]]),
    local.policy_terms[8], local.meanings[local.policy_terms[8]])
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions
  name     = "${local.roles}-${each.value.Properties.Handler}"
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
  # None at all: what is invoked is refused before it begins.
  reserved_concurrent_executions = local.is_closed && !contains(local.always, each.key) ? 0 : null

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
