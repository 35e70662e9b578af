// An OIDC provider for tests: client credentials become a JWT for the resource `urn:botops`, with a claim `groups`.
// Arguments: the folder of node_modules, and the port. Prints `ready`.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, port] = process.argv.slice(2);
const found = createRequire(`${modules}/x.js`).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(found).href);
const issuer = `http://127.0.0.1:${port}`;
const client = (client_id, token_endpoint_auth_method = 'client_secret_post') => ({
  client_id, client_secret: 'of-the-test', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  token_endpoint_auth_method,
});
const provider = new Provider(issuer, {
  clients: [client('release-bot'), client('visitor')],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, audience) => ({ scope: 'deploy', audience, accessTokenFormat: 'jwt', accessTokenTTL: 600 }),
    },
  },
  extraTokenClaims: (_, token) => ({ groups: token.clientId === 'release-bot' ? ['release'] : ['chess'] }),
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
