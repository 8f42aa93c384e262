/** Every scope, and the API it opens. `openid` is of both: who may know who the customer is, and how sure we are. */
export const scopes = {
  ukOpenBanking: ['openid', 'accounts', 'payments'],
  bankApi: ['openid', 'profile', 'accounts:read', 'transactions:read', 'payments:write', 'beneficiaries:read', 'beneficiaries:write'],
  grants: ['grant_management_query', 'grant_management_revoke'],
} as const

/** What can be registered by anybody but the bank. */
export const scopesOfThirdParties: readonly string[] = [...scopes.ukOpenBanking, ...scopes.grants]
