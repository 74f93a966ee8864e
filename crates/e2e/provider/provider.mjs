// A provider of OpenID Connect for the tests: node provider.mjs LIBRARY SETTINGS
//
// LIBRARY is the entry of the package oidc-provider; SETTINGS a file: {port, redirect, users: {name: {email, groups}}}.
// Everybody who is listed may log in with any password, through the library's own pages.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';

const [, , library, file] = process.argv;
const { default: Provider } = await import(library);
const { port, redirect, users } = JSON.parse(readFileSync(file, 'utf8'));
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'wharf',
      client_secret: 's3cret-of-the-client',
      redirect_uris: [redirect],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
    {
      client_id: 'job',
      client_secret: 's3cret-of-the-job',
      redirect_uris: [],
      grant_types: ['client_credentials'],
      response_types: [],
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', kid: 'tests' }] },
  scopes: ['openid', 'email', 'groups'],
  claims: { email: ['email', 'email_verified'], groups: ['groups'] },
  pkce: { required: () => true },
  findAccount: (context, name) => users[name] && {
    accountId: name,
    claims: () => ({ sub: name, email: users[name].email, email_verified: true, groups: users[name].groups }),
  },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:registry',
      getResourceServerInfo: (context, resource) => ({
        scope: '', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 120, jwt: { sign: { alg: 'RS256' } },
      }),
      useGrantedResource: () => false,
    },
  },
  extraTokenClaims: (context, token) => (
    token.kind === 'ClientCredentials' ? { repository: 'org/app', ref: 'refs/heads/main' } : undefined
  ),
});
provider.listen(port, '127.0.0.1', () => console.log(`listens on ${issuer}`));
