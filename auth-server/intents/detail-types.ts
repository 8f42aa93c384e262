/**
 * RAR-02: what a client may ask by detail. A third party's scopes and what it registered for bound it, for an app of the bank
 * there is one.
 */
export function detailTypesOf({ firstParty, metadata }: { firstParty: boolean; metadata: Readonly<Record<string, unknown>> }): string[] {
  if (firstParty) return ['payment_initiation']
  const scopes = String(metadata['scope'] ?? '').split(' ')
  const within = [
    'openbanking_consent',
    ...(scopes.includes('accounts') ? ['account_information'] : []),
    ...(scopes.includes('payments') ? ['payment_initiation'] : []),
  ]
  const registered = metadata['authorization_details_types']
  return Array.isArray(registered) ? within.filter((type) => registered.includes(type)) : within
}
