import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { createAuthority, issue } from '@bankside/certs/authority'
import { ExtendedKeyUsage } from '@peculiar/x509'
import { isNamed } from './certificate-name.ts'

const now = new Date()
const authority = await createAuthority({ commonName: 'Authority', now })
const credential = await issue(
  authority,
  {
    subject: [{ CN: ['acorn'] }],
    keyKind: 'ec',
    names: [
      { type: 'dns', value: 'acorn.example' },
      { type: 'dns', value: '*.wild.example' },
      { type: 'url', value: 'https://acorn.example/client' },
      { type: 'ip', value: '192.0.2.7' },
      { type: 'ip', value: '2001:db8::7' },
      { type: 'email', value: 'Tls@acorn.example' },
    ],
    usages: [ExtendedKeyUsage.clientAuth],
  },
  now,
)
const certificate = new X509Certificate(credential.cert)

const cases: readonly (readonly [property: string, registered: string, named: boolean])[] = [
  ['tls_client_auth_subject_dn', 'CN=acorn', true],
  ['tls_client_auth_subject_dn', 'CN=other', false],
  ['tls_client_auth_san_dns', 'ACORN.example', true],
  ['tls_client_auth_san_dns', 'other.example', false],
  ['tls_client_auth_san_dns', 'a.wild.example', false],
  ['tls_client_auth_san_dns', 'acorn', false],
  ['tls_client_auth_san_uri', 'https://acorn.example/client', true],
  ['tls_client_auth_san_uri', 'https://acorn.example/client/', false],
  ['tls_client_auth_san_uri', 'acorn.example', false],
  ['tls_client_auth_san_ip', '192.0.2.7', true],
  ['tls_client_auth_san_ip', '2001:0DB8:0:0::7', true],
  ['tls_client_auth_san_ip', '192.0.2.8', false],
  ['tls_client_auth_san_email', 'Tls@ACORN.example', true],
  ['tls_client_auth_san_email', 'tls@acorn.example', false],
  ['tls_client_auth_san_email', 'acorn.example', false],
  ['client_name', 'acorn', false],
]
for (const [property, registered, named] of cases)
  test(`MTLS-01 ${property} ${registered} is ${named ? '' : 'not '}a name of the certificate`, () =>
    assert.equal(isNamed(certificate, property, registered), named))
