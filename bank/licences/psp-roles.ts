/** ETSI TS 119 495 section 4.5.3: what the holder of a certificate is licensed for. */
export const pspRoles = {
  PSP_AS: '0.4.0.19495.1.1',
  PSP_PI: '0.4.0.19495.1.2',
  PSP_AI: '0.4.0.19495.1.3',
  PSP_IC: '0.4.0.19495.1.4',
} as const
export type PspRole = keyof typeof pspRoles

/** What directories and registers call them. */
const softwareRoles = { AISP: 'PSP_AI', PISP: 'PSP_PI', CBPII: 'PSP_IC', ASPSP: 'PSP_AS' } as const

export const roleOfSoftware = (name: string): PspRole | undefined =>
  Object.hasOwn(softwareRoles, name) ? softwareRoles[name as keyof typeof softwareRoles] : undefined

/** What a third party may ask for needs a licence, scope by scope. Scopes that are not here need none. */
export const roleOfScope: Readonly<Partial<Record<string, PspRole>>> = {
  accounts: 'PSP_AI',
  payments: 'PSP_PI',
  fundsconfirmations: 'PSP_IC',
}

/** The scopes among these that these roles do not open. */
export function unlicensedScopes(scopes: Iterable<string>, roles: ReadonlySet<PspRole>): string[] {
  return [...scopes].filter((scope) => {
    const role = roleOfScope[scope]
    return role !== undefined && !roles.has(role)
  })
}
