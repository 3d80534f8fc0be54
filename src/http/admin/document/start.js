// The validator would be somebody else's server. The token is kept in this page's memory only.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  validatorUrl: null,
  persistAuthorization: false,
});
