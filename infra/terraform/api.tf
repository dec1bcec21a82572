# The HTTP API and its routes.
resource "aws_apigatewayv2_api" "this" {
  name          = local.name
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true
  default_route_settings {
    throttling_rate_limit    = var.requests_per_second
    throttling_burst_limit   = var.request_burst
    detailed_metrics_enabled = true
  }
  dynamic "route_settings" {
    for_each = local.internal_routes
    content {
      route_key                = route_settings.value
      throttling_rate_limit    = var.internal_requests_per_second
      throttling_burst_limit   = var.internal_request_burst
      detailed_metrics_enabled = true
    }
  }
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format          = local.resources.Api.Properties.AccessLogSettings.Format
  }
  # A stage cannot limit a route that is not there yet.
  depends_on = [aws_apigatewayv2_route.this]
}

resource "aws_apigatewayv2_domain_name" "this" {
  count       = var.domain_name == "" ? 0 : 1
  domain_name = var.domain_name
  domain_name_configuration {
    certificate_arn = var.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
  lifecycle {
    precondition {
      condition     = var.certificate_arn != ""
      error_message = "domain_name and certificate_arn are given together or not at all."
    }
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count       = length(aws_apigatewayv2_domain_name.this)
  api_id      = aws_apigatewayv2_api.this.id
  domain_name = aws_apigatewayv2_domain_name.this[count.index].id
  stage       = aws_apigatewayv2_stage.default.id
}

resource "aws_apigatewayv2_integration" "this" {
  for_each               = toset(values(local.routes))
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.this[each.key].invoke_arn
  payload_format_version = "2.0"
}

# Who calls is decided by the functions: each verifies the token itself and knows the public routes.
resource "aws_apigatewayv2_route" "this" {
  for_each           = local.routes
  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  authorization_type = "NONE"
  target             = "integrations/${aws_apigatewayv2_integration.this[each.value].id}"
}

resource "aws_lambda_permission" "api" {
  for_each      = toset(values(local.routes))
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.key].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*"
}
