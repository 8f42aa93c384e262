import { registerHooks } from 'node:module'

type Replacement = {
  /** As it is written where it is imported. */
  readonly specifier: string
  /** Part of the address of who imports it. */
  readonly importedBy: string
  readonly by: string
}

const ofOurs = (file: string) => new URL(file, import.meta.url).href

/** Modules of the library, by how its own modules write them. What others import is never one of these. */
const ofTheLibrary: Readonly<Record<string, readonly string[]>> = {
  './client-auth.ts': ['../shared/client_auth.js', '../../shared/client_auth.js'],
  './cors.ts': ['../shared/cors.js'],
  './dpop-replay.ts': ['./validate_dpop.js', '../helpers/validate_dpop.js', '../../helpers/validate_dpop.js'],
  './jwt-client-auth.ts': ['./jwt_client_auth.js'],
  './model-payload.ts': ['./payload.js', '../payload.js'],
  './opaque-format.ts': ['./formats/opaque.js', './opaque.js'],
  './params.ts': ['../helpers/params.js', '../../helpers/params.js'],
  './process-request-object.ts': ['./process_request_object.js'],
  './redirect-uri.ts': ['../helpers/redirect_uri.js'],
  './reject-dupes.ts': ['./reject_dupes.js', '../shared/reject_dupes.js', '../../shared/reject_dupes.js'],
  './request-parameters.ts': ['./request_parameters.js'],
  './snake-case.ts': ['../helpers/_/snake_case.js'],
  './selective-body.ts': ['../shared/selective_body.js', '../../shared/selective_body.js'],
}

const replacements: readonly Replacement[] = [
  { specifier: 'jose', importedBy: '/node_modules/oidc-provider/', by: ofOurs('../signatures/remembered-jose.ts') },
  {
    specifier: './router.js',
    importedBy: '/node_modules/oidc-provider/lib/helpers/initialize_app.js',
    by: ofOurs('./context-router.ts'),
  },
  ...Object.entries(ofTheLibrary).flatMap(([file, specifiers]) =>
    specifiers.map((specifier) => ({ specifier, importedBy: '/node_modules/oidc-provider/lib/', by: ofOurs(file) })),
  ),
]

/**
 * From now on oidc-provider finds modules of ours where it imports `jose`, its router and others of its own. Whatever else imports
 * them finds them as they are, and so does a process that does not call this: the library has no place where they could be handed in,
 * and a package in their place would be there for every process of the repository.
 *
 * To be called before oidc-provider is imported.
 */
export function useOwnModules(): { readonly assertInPlace: () => void } {
  const found = new Set<Replacement>()
  registerHooks({
    resolve(specifier, context, next) {
      const { parentURL = '' } = context
      const ours = replacements.find((one) => one.specifier === specifier && parentURL.includes(one.importedBy))
      if (ours === undefined) return next(specifier, context)
      found.add(ours)
      return next(ours.by, context)
    },
  })
  return {
    assertInPlace() {
      for (const one of replacements)
        if (!found.has(one)) throw new Error(`oidc-provider was loaded before its ${one.specifier} could be replaced`)
    },
  }
}
