import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

/** What `.bankside/sandbox.json` says: all that a program needs to talk to a running sandbox. Paths are absolute. */
export type SandboxDescription = {
  readonly issuer: string
  readonly mtls_issuer: string
  readonly resource_api: string
  readonly portal: string | null
  readonly ca_file: string
  readonly server_cert_file: string
  readonly server_key_file: string
  readonly automated_ciba_approval_url: string
  readonly audiences: { readonly uk_open_banking: string; readonly bank_api: string }
  readonly registration: { readonly endpoint: string; readonly audience: string }
  readonly directory: { readonly issuer: string; readonly origin: string }
  readonly customers: readonly DemoCustomer[]
  readonly clients: readonly DemoClient[]
}

export type DemoCustomer = {
  readonly username: string
  readonly password: string
  /** Base32, RFC 6238 with SHA-1, 30 seconds and 6 digits. */
  readonly totp_secret: string
  readonly accounts: readonly DemoAccount[]
}

export type DemoAccount = {
  readonly id: string
  readonly currency: string
  readonly sort_code: string | null
  readonly account_number: string | null
  readonly iban: string | null
}

export type DemoClient = {
  readonly client_id: string
  readonly profile: string
  readonly token_endpoint_auth_method: 'private_key_jwt' | 'tls_client_auth'
  readonly sender_constraint: 'dpop' | 'mtls'
  readonly redirect_uris: readonly string[]
  readonly jwks_file: string | null
  readonly cert_file: string | null
  readonly key_file: string | null
  readonly scopes: string | readonly string[]
  readonly first_party: boolean
  readonly backchannel_client_notification_endpoint?: string
}

/** Says in a sentence what a person can do. Its stack tells nothing. */
export class SandboxNotRunning extends Error {}

/** The folder of the sandbox: BANKSIDE_HOME, or `.bankside` in the folder of the repository. */
export function sandboxHome(): string {
  return path.resolve(process.env['BANKSIDE_HOME'] ?? path.join(import.meta.dirname, '../../.bankside'))
}

/** @throws {SandboxNotRunning} when there is no description in the folder. It is not asked whether somebody still listens. */
export function readSandbox(home: string): SandboxDescription {
  const file = path.join(home, 'sandbox.json')
  if (!existsSync(file))
    throw new SandboxNotRunning(`There is no sandbox in ${home}. Start one with “npm start” and leave it running, then try again.`)
  return JSON.parse(readFileSync(file, 'utf8')) as SandboxDescription
}

export function clientNamed(sandbox: SandboxDescription, clientId: string): DemoClient {
  const client = sandbox.clients.find(({ client_id }) => client_id === clientId)
  if (client === undefined) throw new Error(`the sandbox has no client ${clientId}`)
  return client
}
