import type { Grant, Provider } from 'oidc-provider'

/** What our grants hold beside what the library puts into them. */
export type ManagedGrant = Grant & {
  /** The name under which the third party manages it; told with every token (GM-04). */
  managedGrantId?: string | undefined
  /** Seconds since the epoch. Its consent has no name yet that the third party knows: it ends when the code is not redeemed. */
  claimBefore?: number | undefined
  /** The claims that were asked for at the userinfo endpoint: those that were for the ID token are not told there (OIDC Core 5.5). */
  userinfoClaims?: readonly string[] | undefined
  /** The name of the session that an app of the bank was given it through: it ends with that. */
  throughSession?: string | undefined
}

/** The library stores of an artifact what its class lists. */
export function rememberManagement({ Grant }: Provider): void {
  const stored = Grant as unknown as { readonly IN_PAYLOAD: readonly string[] }
  const names = [...stored.IN_PAYLOAD, 'managedGrantId', 'claimBefore', 'userinfoClaims', 'throughSession']
  Object.defineProperty(stored, 'IN_PAYLOAD', { get: () => names })
}
