# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# Fetching the payload with the instance's own role. Credentials and payload exist in shell variables and pipes only:
# curl reads what is secret from its stdin (-K -), never from argv.

empty_digest=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 # of an empty body, which S3 wants signed

imds() { # path, options...; a header in $imds_header goes through stdin
  local path=$1
  shift
  printf 'header = "%s"\n' "$imds_header" |
    curl -q --noproxy '*' -sS -f --connect-timeout 2 --max-time 5 -K - "$@" "$metadata_service_url/latest/$path"
}

is_activated() { # an instance of ECS Anywhere (F82): it has no role, its SSM agent keeps keys in a file
  [[ ${AWS_SSM_INSTANCE_ID-} == mi-* ]]
}

# Sets key_id, key_secret and key_token.
instance_credentials() {
  key_id='' key_secret='' key_token=''
  if is_activated; then shared_credentials; else role_credentials; fi
  [[ "$key_id:$key_secret:$key_token" =~ ^[A-Za-z0-9]+:[A-Za-z0-9/+=]+:[A-Za-z0-9/+=_-]+$ ]]
}

shared_credentials() {
  local line part=
  while IFS= read -r line; do
    line=${line//[$' \t\r']/}
    case $line in '['*) part=$line ;; esac
    case $part$line in
      '[default]aws_access_key_id='*) key_id=${line#*=} ;;
      '[default]aws_secret_access_key='*) key_secret=${line#*=} ;;
      '[default]aws_session_token='*) key_token=${line#*=} ;;
    esac
  done <"$credentials_file"
}

role_credentials() {
  local tries role text path type value
  for tries in 1 2 3; do
    imds_header='X-aws-ec2-metadata-token-ttl-seconds: 300'
    imds_header="X-aws-ec2-metadata-token: $(imds api/token -X PUT)" &&
      role=$(imds meta-data/iam/security-credentials/) && role=${role%%[[:space:]]*} && [ -n "$role" ] &&
      text=$(imds "meta-data/iam/security-credentials/$role") && break
    text=
    if [ "$tries" -lt 3 ]; then nap 10; fi
  done
  imds_header=
  while IFS=$'\t' read -r path type value; do
    case $path in
      /AccessKeyId) key_id=$value ;;
      /SecretAccessKey) key_secret=$value ;;
      /Token) key_token=$value ;;
    esac
  done < <(printf '%s\n' "$text" | json_leaves '^/(AccessKeyId|SecretAccessKey|Token)$')
}

signed() { # service, URL, options...: prints the body, a new line and the HTTP status
  local service=$1 url=$2
  shift 2
  printf 'user = "%s:%s"\nheader = "X-Amz-Security-Token: %s"\n' "$key_id" "$key_secret" "$key_token" |
    curl -q -sS --connect-timeout 5 --max-time 20 --aws-sigv4 "aws:amz:$region:$service" -K - -w '\n%{http_code}' "$@" "$url"
}

json_call() { # service, target, body
  signed "$1" "$payload_url" -X POST -H 'Content-Type: application/x-amz-json-1.1' -H "X-Amz-Target: $2" --data-binary "$3"
}

fetch_by_curl() { # sets answer and status
  local text url=$payload_url
  case $payload_store in
    ssm) text=$(json_call ssm AmazonSSM.GetParameter "{\"Name\":\"$payload_name:$payload_version\",\"WithDecryption\":true}") ;;
    secretsmanager)
      text=$(json_call secretsmanager secretsmanager.GetSecretValue \
        "{\"SecretId\":\"$payload_name\",\"VersionId\":\"$payload_version\"}")
      ;;
    s3)
      if [ "$payload_version" != null ]; then url+="?versionId=$payload_version"; fi
      text=$(signed s3 "$url" -H "x-amz-content-sha256: $empty_digest")
      ;;
  esac || return 1
  status=${text##*$'\n'}
  answer=${text%$'\n'*}
}

fetch_by_cli() { # the same, as if it had been curl's answer
  local endpoint=$payload_url bucket=${payload_name%%/*} key=${payload_name#*/} from=(--region "$region" --output text) version=()
  if [ "$metadata_service_url" != http://169.254.169.254 ]; then
    export AWS_EC2_METADATA_SERVICE_ENDPOINT=$metadata_service_url
  fi
  is_activated || credentials_file=/dev/null # the role and nothing else
  export AWS_SHARED_CREDENTIALS_FILE=$credentials_file AWS_CONFIG_FILE=/dev/null
  status=200
  case $payload_store in
    ssm)
      answer=$(limited 30 aws "${from[@]}" --endpoint-url "$payload_url" ssm get-parameter \
        --name "$payload_name:$payload_version" --with-decryption --query Parameter.Value 2>&1)
      ;;
    secretsmanager)
      answer=$(limited 30 aws "${from[@]}" --endpoint-url "$payload_url" secretsmanager get-secret-value \
        --secret-id "$payload_name" --version-id "$payload_version" --query SecretString 2>&1)
      ;;
    s3) # the CLI makes the object's URL itself, of an endpoint that names no bucket
      endpoint=${endpoint%"/$key"}
      endpoint=${endpoint%"/$bucket"}
      if [ "$payload_version" != null ]; then version=(--version-id "$payload_version"); fi
      answer=$(limited 30 aws "${from[@]}" --endpoint-url "${endpoint/"//$bucket."///}" s3api get-object \
        --bucket "$bucket" --key "$key" "${version[@]}" /dev/fd/5 5>&1 2>&1 >/dev/null)
      ;;
  esac || {
    status=400
    case $answer in *'Unable to locate credentials'*) return 2 ;; *onnect*endpoint* | *imed\ out*) return 1 ;; esac
  }
}

# Sets payload, or fetch_reason and a detail.
fetch_payload() {
  local tries wait=10 kind
  fetch_reason=
  find_fetcher
  if [ "$fetcher" = none ]; then fetch_reason=tool_missing; explain 'neither curl 7.75 nor the AWS CLI is here'; return 1; fi
  if [ "$fetcher" = curl ]; then
    instance_credentials || { fetch_reason=no_instance_credentials; return 1; }
  fi
  for tries in 1 2 3 4 5; do
    if [ "$fetcher" = curl ]; then fetch_by_curl; else fetch_by_cli; fi
    kind=$?
    if [ $kind -eq 0 ]; then judge_answer; fi
    case $kind in
      1) fetch_reason=payload_unreachable; if [ "$tries" -ge 3 ]; then break; fi ;;
      2) fetch_reason=no_instance_credentials; break ;;
    esac
    case $fetch_reason in '' | payload_denied | payload_missing | payload_clock_skew | payload_malformed) break ;; esac
    if [ "$tries" -lt 5 ]; then nap $wait; fi
    wait=$((wait * 2))
  done
  key_id='' key_secret='' key_token='' answer=''
  [ -z "$fetch_reason" ]
}

judge_answer() { # the error's kind, from status and body; a good answer becomes the payload
  local path type value field='' complete='' denied=''
  fetch_reason=
  if [ "$status" != 200 ]; then
    case $answer in
      *'ignature expired'* | *'ignature not yet current'* | *RequestTimeTooSkewed* | *RequestExpired*) fetch_reason=payload_clock_skew ;;
      *hrottl* | *TooManyRequests* | *SlowDown* | *LimitExceeded*) fetch_reason=payload_throttled ;;
      *AccessDenied* | *UnrecognizedClient* | *InvalidSignature* | *IncompleteSignature* | *SignatureDoesNotMatch* | \
        *ExpiredToken* | *InvalidClientTokenId* | *InvalidAccessKeyId* | *MissingAuthentication* | *KMS* | *Kms* | *InvalidKeyId*)
        fetch_reason=payload_denied
        ;;
      *ParameterNotFound* | *ParameterVersionNotFound* | *ResourceNotFound* | *NoSuchKey* | *NoSuchVersion* | *NoSuchBucket*)
        fetch_reason=payload_missing
        ;;
    esac
    if [ -z "$fetch_reason" ]; then
      case $status in
        429 | 5??) fetch_reason=payload_throttled ;;
        401 | 403) fetch_reason=payload_denied ;;
        404) fetch_reason=payload_missing ;;
        *) fetch_reason=payload_unreachable ;;
      esac
    fi
    if [[ $answer =~ 'not authorized to perform: '([a-z0-9-]+:[A-Za-z]+) ]]; then
      denied=", which denies ${BASH_REMATCH[1]}"
    elif [[ $answer == *'Access to KMS is not allowed'* ]]; then
      denied=', which denies kms:Decrypt'
    fi
    explain "the store answered HTTP $status$denied"
    return
  fi
  payload=$answer
  case $fetcher$payload_store in
    curlssm) field=/Parameter/Value ;;
    curlsecretsmanager) field=/SecretString ;;
    *) return ;;
  esac
  payload=
  while IFS=$'\t' read -r path type value; do
    case $path in .) complete=1 ;; "$field") payload=$value ;; esac
  done < <(printf '%s\n' "$answer" | json_leaves "^$field\$")
  if [ -z "$complete" ] || [ -z "$payload" ]; then fetch_reason=payload_malformed; fi
}

# Checks the payload and sets new_type and new_data; else fetch_reason.
open_payload() {
  local text rest header nonce
  payload=${payload//[$'\r\n']/}
  fetch_reason=payload_digest
  [ "$(printf '%s' "$payload" | digest)" = "$payload_digest" ] || return 1
  fetch_reason=payload_malformed
  text=$(printf '%s' "$payload" | base64 -d && printf x) || return 1
  payload=
  text=${text%x}
  header=${text%%$'\n'*} rest=${text#*$'\n'}
  nonce=${rest%%$'\n'*} rest=${rest#*$'\n'}
  new_type=${rest%%$'\n'*} rest=${rest#*$'\n'}
  new_data=${rest%$'\n'}
  [ "$header" = 'ecs-rollout-payload 1' ] && [ ${#nonce} -eq 64 ] || return 1
  case $new_type in docker | dockercfg) ;; *) return 1 ;; esac
  [ "$new_data"$'\n' = "$rest" ] && [ ${#new_data} -le "$largest_line" ] || return 1
  case $new_data in *[[:cntrl:]]*) return 1 ;; '{'*) ;; *) return 1 ;; esac
  [ "$(printf '%s\n' "$new_data" | json_leaves '^nothing$')" = . ] || return 1
  fetch_reason=
}
