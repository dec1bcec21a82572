output "api_url" {
  description = "Where API Gateway answers; public_url has to lead here"
  value       = aws_apigatewayv2_api.this.api_endpoint
}

output "table_name" {
  value = aws_dynamodb_table.this.name
}

output "secret_arn" {
  value = aws_secretsmanager_secret.this.arn
}
