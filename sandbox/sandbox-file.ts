import { rmSync } from 'node:fs'
import type { ClientProfile } from '@bankside/bank/clients/client'
import { writePrivateFile } from './private-file.ts'

/**
 * `.bankside/sandbox.json`: all that a program needs to talk to a running sandbox. It is there while the sandbox can be
 * used and not otherwise; it may be read by its owner only, for it holds passwords and names private keys. Paths are
 * absolute. Members may be added; what is here stays as it is.
 */
export type SandboxFile = {
  readonly issuer: string
  /** Origin of `mtls_endpoint_aliases`. */
  readonly mtls_issuer: string
  readonly resource_api: string
  /** Null until there is one. */
  readonly portal: string | null
  /** PEM: trust this to connect to any of the above. */
  readonly ca_file: string
  /** PEM, of a server on localhost, by the same authority: for a program that is called, as clients that ping are. */
  readonly server_cert_file: string
  readonly server_key_file: string
  /** POST, with an auth_req_id for `{auth_req_id}` and `allow` or `deny` for `{action}`: a demo customer answers a CIBA request so. */
  readonly automated_ciba_approval_url: string
  /** `resource` of token requests, `aud` of access tokens. */
  readonly audiences: { readonly uk_open_banking: string; readonly bank_api: string }
  /** Where third parties register themselves, and what the bank is called there (`aud`). */
  readonly registration: { readonly endpoint: string; readonly audience: string }
  /** Who vouches for third parties of the sandbox. */
  readonly directory: { readonly issuer: string; readonly origin: string; readonly jwks_uri: string; readonly revocation_list_uri: string }
  readonly customers: readonly SandboxCustomer[]
  readonly clients: readonly SandboxClient[]
}

export type SandboxCustomer = {
  readonly username: string
  readonly password: string
  /** Base32. RFC 6238: SHA-1, six digits, 30 seconds. */
  readonly totp_secret: string
  readonly accounts: readonly SandboxAccount[]
}

export type SandboxAccount = {
  readonly id: string
  readonly currency: string
  /** Six digits. Null, like the number, for an account that has an IBAN only. */
  readonly sort_code: string | null
  readonly account_number: string | null
  readonly iban: string | null
}

export type SandboxClient = {
  readonly client_id: string
  readonly profile: ClientProfile
  readonly token_endpoint_auth_method: 'private_key_jwt' | 'tls_client_auth' | 'self_signed_tls_client_auth'
  readonly sender_constraint: 'dpop' | 'mtls'
  readonly redirect_uris: readonly string[]
  /** JWKS with private keys: one ES256, one PS256. A client that came from a file may have brought others, or (null) by value. */
  readonly jwks_file: string | null
  /** PEM, of the transport certificate. */
  readonly cert_file: string
  /** Null if a client brought its certificate and kept the key. */
  readonly key_file: string | null
  readonly scopes: readonly string[]
  readonly first_party: boolean
  /** Of a client of CIBA. */
  readonly backchannel_token_delivery_mode?: 'poll' | 'ping'
  /** Where a client that pings is called. */
  readonly backchannel_client_notification_endpoint?: string
}

export function writeSandboxFile(path: string, content: SandboxFile): void {
  writePrivateFile(path, content)
}

export function removeSandboxFile(path: string): void {
  rmSync(path, { force: true })
}
