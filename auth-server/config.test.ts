import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '@bankside/service-kit/config'
import { readAuthServerConfig } from './config.ts'

const problemsOf = (environment: Record<string, string>): readonly string[] => {
  try {
    readAuthServerConfig(environment)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
}

test('all that is missing is said at once', () => {
  const problems = problemsOf({}).join('\n')
  for (const name of ['ISSUER', 'MTLS_ISSUER', 'DATABASE_URL', 'TLS_RSA_KEY', 'CLIENT_CA', 'SIGNING_KEYS', 'SECRETS', 'UK_AUDIENCE'])
    assert.match(problems, new RegExp(`\\b${name}\\b`))
})

test('FAPI2-NET-01 an issuer is an https origin, and keys and secrets are what they must be; none is repeated in the message', () => {
  const key = { kid: 'one', use: 'sig', alg: 'ES256', kty: 'EC', d: 'private-part' }
  const problems = problemsOf({
    ISSUER: 'http://localhost:4430',
    MTLS_ISSUER: 'https://localhost:4431/path',
    SIGNING_KEYS: JSON.stringify({ keys: [key] }),
    SECRETS: JSON.stringify({
      cookie_keys: ['short-secret'],
      pairwise_salt: 's',
      form_keys: ['f'],
      seal_keys: ['AAAA'],
      dpop_nonce_secrets: ['AAAA'],
      customer_data_keys: ['AAAA'],
    }),
    DATABASE_URL: 'mysql://secret@localhost',
  }).join('\n')
  for (const name of ['ISSUER', 'MTLS_ISSUER', 'SIGNING_KEYS', 'SECRETS', 'DATABASE_URL'])
    assert.match(problems, new RegExp(`${name}[.:]|${name}\\b`))
  assert.doesNotMatch(problems, /private-part|short-secret|secret@/)
})

test('what is no JSON is said to be none', () => {
  assert.ok(problemsOf({ SECRETS: '{' }).some((problem) => /SECRETS.*JSON/.test(problem)))
})
