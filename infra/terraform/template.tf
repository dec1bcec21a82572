# What template.yaml says: functions, their routes and permissions, alarms. It is said there once, for SAM and for this
# module, so that neither can have a route or a right the other lacks.
locals {
  template  = yamldecode(file("${path.module}/../template.yaml"))
  resources = local.template.Resources
  functions = { for name, resource in local.resources : name => resource if resource.Type == "AWS::Serverless::Function" }

  # "POST /v1/auth/login" => "LoginFunction"
  routes = merge([
    for name, function in local.functions : {
      for event in values(try(function.Properties.Events, {})) :
      try("${event.Properties.Method} ${event.Properties.Path}", "$default") => name if event.Type == "HttpApi"
    }
  ]...)

  # Routes with limits of their own: those of services and of the edge.
  internal_routes = toset(flatten([
    for function in values(local.functions) : [
      for event in values(try(function.Properties.Events, {})) : "${event.Properties.Method} ${event.Properties.Path}"
      if can(event.Properties.RouteSettings)
    ]
  ]))

  # "ProviderCheckFunction" => "rate(5 minutes)"
  schedules = merge([
    for name, function in local.functions : {
      for event in values(try(function.Properties.Events, {})) :
      name => event.Properties.ScheduleExpression if event.Type == "ScheduleV2"
    }
  ]...)
}
