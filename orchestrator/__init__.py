"""ecs-rollout: change the registry credential of every container instance of an ECS cluster, and prove it.

The map of the house (`make readme` draws it). Imports only go down: cli; report, engine, inspection,
aws; journal, registry and the small modules; core; errors. The lab stands apart.

    cli/                      The command line
        approvals             `plan --out FILE` and `run --plan FILE`: what was approved is what runs, or nothing does
        approver              Ask the person at the terminal to approve a wave
        asked                 What -v says: which operations AWS is asked for, and how often
        asking                `ecs-rollout approve` and `abort`
        boot                  What new instances boot with
        carrying              What `run`, `restore`, `resume` and `heal` have in common
        checkup               `ecs-rollout doctor` looks at everything, from what all needs to what needs all
        completion            `ecs-rollout completion`: print what teaches a shell to complete our commands and flags
        compose               The only place that builds everything
        configuration         `ecs-rollout config show`: what each setting is, where it comes from, and who takes it
        credential            `ecs-rollout credential lint`
        crew                  Who carries a rotation out with real AWS
        demonstration         What `ecs-rollout demo` does in its lab
        display               The live display of a run, where the terminal is able
        doctor                `ecs-rollout doctor`: is everything there that a run needs?
        documents             `ecs-rollout documents`: publish, render, template, check
        files                 Files that commands write: whole or not at all, and readable by their owner alone
        flags                 The flags as they were written
        folding               Fold what is said to a person at the width of the terminal
        function              Secrets Manager's four steps of a rotation, as one function
        generations           `ecs-rollout generations`
        groups                Groups of commands
        healing               What healing does beside its run: take delivered copies and old locks away
        history               `ecs-rollout runs`, `status`, `report` and `why`
        holders               Who runs which generation at the end of a rotation
        holding               The cluster while it is ours: won, and let go of
        iam                   `ecs-rollout iam`: print the policies that the code needs, as JSON
        identity              Who works at this terminal
        lab                   `ecs-rollout lab` and `demo`: the only place that starts the lab
        loading               The credential's road in the controller
        looks                 The single looks that `ecs-rollout doctor` takes: each at one thing, as checks
        main                  The entry point
        manners               -q
        mistyped              Command lines that are nearly right: an error that names what was meant
        options               The flags that several commands share, and how they become values
        overlap               How it is found out which generations a cluster runs and what can bring an older one
        parameter_types       How the flags' texts become values. `pattern`: what such a text looks like, for editors
        planning              The plan of a run: discover, select, inspect, decide
        recovery              `ecs-rollout restore`, `resume` and `heal`
        reporting             `--output` and `--out` of `report`, `run` and `restore`
        requests              From flags to what was asked for (compose.Request)
        rolling               The procedure behind `run`: what is done in which order, and what is put away afterwards
        rollout               `ecs-rollout plan` and `run`
        rollout_options       The flags that say how a fleet is rolled
        rotating              `ecs-rollout rotate`
        schema                `ecs-rollout schema`: print the JSON Schema of what this tool writes or reads
        settings              Which flags a configuration file may hold
        showing               What a plan is shown with
        signals               Ctrl-C, SIGTERM and a closed terminal
        speech                What commands say on stderr
        state                 `ecs-rollout state init`: make the table of a journal that machines share
        store                 Where the journal is, and its life around a command. A SQLite journal needs no boto3
        telling               Around a run: tell those who want to know, measure, and log
        turns                 Taking turns where nobody watches
        unattended            The flags of runs that nobody watches: notices, metrics, the log's form
    report/                   What a person or a pipeline reads afterwards and meanwhile
        advice                What to do about a whole run: its result in words, and the command that comes next
        after                 What happened beside the fleet once a run had ended: it is not in the journal
        afterwards            How an instance whose change was taken back stood afterwards, in words
        checkups              What `doctor` found, for a person and as JSON
        chosen                What was chosen for a run, by the flags' names
        console               Links to the AWS console, in the partition that a Region belongs to
        estimates             How long a rollout takes
        findings              What the lint of a credential found, for a person and as JSON
        followed              What followed a run, in sentences for those who are told of its end
        following             Follow a run's events once for all who want to know the state behind them
        formats               A report as CSV and Markdown
        gating                What the gates of a run said, and for how long
        html                  A report as one HTML page that needs no network
        hush                  Keep what is typed off a terminal that is drawn on
        json_report           The JSON report and its JSON Schema
        junit                 A report as JUnit XML, for pipelines: a test case for the run and one for each instance
        last_time             What the journal tells of the last time, where a new plan is shown
        layout                How text fits a terminal: sentences folded, tables, commands that can be copied
        live                  Live progress
        live_frame            Where a run stands, drawn as the lines of a live display that fit a terminal. Pure
        log_lines             A run for machines: JSON lines
        mending               What healing mends, counted in machines
        notices               The words of notices
        notifier              Send notices
        overlaps              Who runs which generation
        painter               Keeps the last lines of a terminal up to date
        plan_drains           What a plan says of the instances that are drained first
        plan_tables           The table of a plan, wave by wave
        plans                 A plan, for a person and as JSON: what would happen to each instance, and why
        problem_lines         The problems of a run as they happen, each with what it means and what to do
        progress              Progress in plain lines on stderr
        remaining             How long a run still takes, from what it has measured itself so far
        remarks               What apply and restore remark on an instance beside its outcome, in full sentences
        remnants              What `heal --dry-run` shows
        render                A run's report in the form that was asked for
        rows                  What a report tells, as rows
        sentences             An event of a journal in a sentence, with the evidence for it as names and texts
        silence               Say what a run does at present, where nothing was said for a while
        standing              Where a run stands at a moment, as one frozen value
        status                How a run stands, from its journal
        story                 Everything that a journal holds about one instance, in order
        successor             The run that has taken another one's cluster over
        text                  A report for a person, in at most 80 columns
        timeline              The picture of a run: every instance by wave and phase over time, as SVG paths
        times                 How a moment and a duration are written, in every report and display
        troubles              The instances that did not end as wanted, grouped by what is the matter with them
        visible               Others' words, made safe to show
        waits                 What a run, and each instance at work in it, waits for, in words
        wording               What the journal's values are called where a person reads them
    audience                  Hear what other shells ask of a run: to go on with a wave, or to stop
    clock                     The one place that reads the time and waits
    config                    The configuration file: TOML with the flags' names, and tables of them to choose from
    config_model              The configuration file's settings as a pydantic model, made from the flags
    connections               Connection pools that honour the proxy variables as other tools do, and a CA bundle
    dispatch                  Send a batch
    documents_folder          Reads the documents' shell sources and shipped YAML
    drainage                  Do what draining takes, and give back at the end
    engine                    The one loop: journal the intent, do, observe, fold
    errors                    The errors that a user can see: each a message, a hint and an exit code
    gatekeeper                Ask the gates
    gates                     Gates on this machine: time windows, and a command of the user's own
    inspection                Look at instances before anything is decided
    ledger                    The one way in which events count
    lookout                   Read what SSM and ECS say of the instances at work, and tell the ledger what it means
    patience                  How long a run goes on while AWS or its journal does not let it work
    ports                     The narrow protocols that the engine needs, in the words of the domain
    reading                   Read what commands in flight tell
    rotation                  Rotate: what comes after what in one night, over narrow ports
    surveyor                  Look at the cluster as a whole: who needs nothing done, who lags, who has joined
    webhook                   Send notices to a webhook that takes Slack's JSON
    aws/                      Adapters to AWS: one call each, paged fully, translated into values
        autoscaling           The Auto Scaling groups around a cluster
        boot_config           The env file in S3 that new instances boot with
        checks                What only `doctor` asks AWS
        documents             Our three SSM documents
        draining              Draining behind the port `Drains`
        ecs                   ECS container instances behind the port `Fleet`
        gates                 Gates that ask AWS: CloudWatch alarms and SSM Change Calendar
        journal               The journal in a DynamoDB table that several machines share; every write is conditional
        journal_items         The items of the journal's DynamoDB table
        leftovers             Find the copies of a credential that dead runs have delivered and not removed
        lock                  The cluster's lock
        metrics               Put a run's metrics into CloudWatch
        notices               Send notices to an SNS topic or an EventBridge bus
        owner                 Who holds a cluster, as it stands in the lock
        rotation              The entry point that a Secrets Manager rotation function names
        secrets               Keep the delivered payload where instances can fetch it
        session               Make boto3 clients
        sources               Read the credential's text from where it is kept
        ssm                   SSM Run Command behind the port `Commands`: one call, page it fully, translate
        stages                The staging labels of a secret behind the port `Stages`: read, and AWSCURRENT moved
        tasks                 Tasks on container instances: what they are, what they need, and where there is room
    journal/                  The durable record of a run
        codec                 Records as bytes and back, strictly
        head                  What stands at the head of a run's record
        place                 Where a journal is
        sqlite                The journal in one SQLite file under the XDG state directory
        sqlite_file           The journal's SQLite file: made, recognised, upgraded and opened
        store                 What every store of the journal can do, and one run's part of it as the engine sees it
    registry/                 Registries themselves
        client                Ask a registry or its token service over https, on loopback also without
        probe                 Try the logins of a credential at their registries, and ask for images with them
    core/                     Values and pure decisions: no AWS, no clock, no I/O, no randomness
        actions               What the policy can want done next, as values; the engine does it
        agent_auth            What the ECS agent makes of ECS_ENGINE_AUTH_TYPE and ECS_ENGINE_AUTH_DATA
        amount                A number of instances, absolute or as a share of the fleet: `3` or `10%`
        approved              A plan that was approved: what it holds, and what has changed since
        asks                  What another shell asks of a run that is under way: to go on with a wave, or to stop
        capacity              Would draining an instance leave its tasks without a place? Values, and the pure check
        checkup               What `doctor` finds, as values
        counting              A number and what it counts, as one says it
        credential            The set of registry logins to install
        credential_entries    Read a map of registries, in either ECS form or docker login's, entry by entry
        credential_formats    Recognise what a secret holds and read the credential out of it
        credential_lint       Judge a credential by the ECS agent's rules before it travels
        deciding              Decide about one instance from what was seen of it
        document_lint         The rules for Command documents that no public schema states: F50-F58 and F63, as checks
        document_parameters   The parameters of the three documents
        documents             Render the three Command documents from their shell sources
        documents_stack       The three documents as a CloudFormation template
        doubts                Why it is not certain that nobody will use the previous credential any more
        draining              Say what is seen of a draining instance means, and what is to be given back at the end
        env_file              Change our two lines in an env file and nothing else
        env_fragment          Find the two variables in a piece of an env file
        events                What happens in a run, as frozen values: the journal's content
        findings              What the lint of a credential can find; no finding holds a secret or a piece of one
        gates                 Gates: something that must say go before instances are admitted
        go_values             Read JSON
        iam                   Least-privilege IAM policies, made from what the code calls
        iam_document          IAM policy documents as values: statements that allow, and the JSON form of them
        iam_draining          What runs that drain instances may do beside the rollout itself
        iam_journal           What a journal in DynamoDB needs
        iam_unattended        What may be done beside the rollout itself
        judging               Say what an observation means for a run: pure functions from what was seen to events
        lifecycle             The lifecycle of one instance, as one table
        metrics               What a run measures for CloudWatch, as values and in the embedded metric format
        model                 The words of the project as values: instance, facts, decision, outcome, plan
        notices               What somebody is told about a run, and whom `--notify` names
        orders                What is sent to an instance: the parameters of each document
        overlap               Which generations a fleet runs
        payload               The text that is delivered and fetched
        planning              Lay out what is to be done with a whole cluster: every registration's decision, in waves
        policy                Decide what to do next
        polling               When a command's page of invocations is worth reading
        progress              Where one instance is in a run, and one SendCommand
        readiness             Is each instance ready to be rolled? Pure judgements of `doctor` on what ECS
        reasons               Every reason that a decision or an outcome can have
        registry_api          Names and challenges of the Registry v2 API, as values
        registry_names        Registry keys as the agent matches them
        result                Read the result line that a document prints first
        roster                Who of a run is where: its instances by phase, wave and zone
        rotation              Which version of a secret a fleet is given, and when AWSCURRENT may follow it. Pure
        selection             Whom a run is about: the pure matching of instances, their attributes and their tags
        settings              What an operator may choose about a run
        shell_text            Make shell text take less room, and nothing else: a Command document ends at 64 KB (F63)
        source                Where a credential comes from: the sources that can be named, as one closed union
        state                 The state of a run: the fold of its events and nothing else
        toml_lines            Find the lines on which the keys of a TOML file stand
        user_data             Find a registry credential in what instances boot with, user data in its wrappings
        waves                 Who comes first, and in which wave: the order of admission. Pure and deterministic
        windows               Time windows
    lab/                      The lab
        access                Who may ask for what
        agent_document        What the SSM agent makes of a document
        agent_log             What the ECS agent writes to its log
        authdata              How the ECS agent reads ECS_ENGINE_AUTH_TYPE and ECS_ENGINE_AUTH_DATA at its start
        calendars             The lab's change calendars
        cluster_query         The cluster query language
        command_views         How the API shows a command
        commands              A command and its invocations: where each stands (F74, F75)
        container_service     The lab's ECS
        control               Serves what is asked of the lab itself
        delivery              Carries a command to its instances
        docker_state          The simulated Docker's containers
        documents_model       A document and its versions, and how the API describes them (F50, F63, F70)
        documents_store       The engine for document operations
        ecs_agent             The simulated ECS agent: one process from its start to its end (F1-F19, F31-F33)
        ecs_instances         The ECS operations on clusters, container instances, attributes and tags
        ecs_model             What the ECS engine remembers: clusters, container instances and what is in them
        ecs_services          The ECS operations on services and task definitions
        ecs_tasks             The ECS operations on tasks
        ecs_unit              The unit ecs.service on one instance
        ecs_views             How the ECS API writes small things: attributes, tags, resources
        ecs_workload          What runs on the ECS engine's instances: task definitions, tasks, services
        envfile               How ecs-init reads an env file: the dialect that makes the agent's environment (F40)
        faults                What the API does to its callers
        fleet                 The lab's instances: who is there, and what happens to them while somebody rolls them
        forwarding            Carries connections from a listener in one network namespace to a loopback port of the
        host_farm             Hosts without a lab: for tests of documents and of the instance itself
        imds                  The instance metadata service
        instance              One simulated container instance
        introspection         The agent's introspection port
        isolation             Where an instance's scripts run
        lab                   The lab as one thing: an endpoint, its engines and its fleet
        loop_thread           An event loop for synchronous callers
        managed               What Run Command asks of a host
        messages              Requests and responses as bytes and text, and the forms in which AWS words an error
        moto_front            Everything that is not an engine of our own
        moto_repairs          What the lab mends in moto, each where the real service differs and a run would go by it
        namespace_keeper      A process of its own that makes instances' namespaces
        namespaces            Instances in network and mount namespaces of their own
        needs                 What each request needs to be allowed
        paging                Pages as SSM hands them out
        permissions           Evaluates IAM policies as AWS does
        processes             Runs processes as an instance would
        recorder              Keeps every request and response of the endpoint
        registry              A private registry at the lab's own address
        run_command           The engine for SSM Run Command: what is accepted, what is listed, and when (F70-F76)
        scenario              The values a scenario file holds: the fleet, its trouble, and the moods of the API
        scenario_file         Reads scenario files (TOML) and the packaged ones
        scenario_keys         The keys of a scenario file as data: how each is read, what it becomes, what it means
        scheduler             Where tasks go and when they move
        send_checks           What SendCommand checks before it accepts
        server                The one HTTP endpoint
        shapes                Checks what goes in and comes out against botocore's own model of the service
        shims                 Installs the instance's own docker, systemctl and systemd-run
        signatures            Checks AWS Signature Version 4 as the service does
        ssm                   The engine for the SSM operations that the lab answers itself
        tables                Tables of a TOML file read strictly: every complaint names the line and the key
        units                 The transient units of one instance
        wire                  The words that the lab's engines share: AWS errors, a clock, paging
"""
